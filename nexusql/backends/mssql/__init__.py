"""The mssql backend."""
