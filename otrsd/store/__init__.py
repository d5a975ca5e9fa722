"""SQL: tables, rows ↔ frozen values, transactions, migrations."""
