"""The auditor's floor: the log read again, without the web."""
