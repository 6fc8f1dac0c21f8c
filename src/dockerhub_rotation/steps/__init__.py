"""The four steps. Each may run any number of times, also twice at once, and may die between any two lines.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""
