"""Workflow documents: read, converted to the API's form, and checked."""
