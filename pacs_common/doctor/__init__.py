"""What `manage.py ROLE doctor` looks at in every role: each finding says what to do about it."""
