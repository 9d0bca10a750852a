"""People whom the hospital keeps elsewhere: at an OpenID Connect provider."""
