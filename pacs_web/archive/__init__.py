"""The archive as people meet it: bring an exam back, and the operator's page."""
