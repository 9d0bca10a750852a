"""The portal: search -> federation -> study -> viewer."""
