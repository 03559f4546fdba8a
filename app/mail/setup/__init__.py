"""Configuration of Postfix and Dovecot for postroom."""
