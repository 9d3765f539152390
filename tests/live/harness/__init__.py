"""What live tests share: PostgreSQL clusters, an S3 server, the programs, temporary folders, TAP."""
