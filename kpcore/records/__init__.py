"""What a finished study left, as typed records: results, histories, manifests. Read without torch."""
