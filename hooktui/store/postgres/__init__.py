"""The store on PostgreSQL: any number of servers share one database."""
