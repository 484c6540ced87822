"""The boxes as the gateway knows them: joining, broker accounts, configuration."""
