"""PostgreSQL as the engine. Needs the extra postroom[postgresql]."""
