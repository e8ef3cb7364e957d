"""What the tests share: servers, applications, interpreters, drivers."""
