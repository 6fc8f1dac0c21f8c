"""`make fleet`: many secrets of one account, all due at the same moment, in virtual time.

What one rotation alone never meets: Docker Hub's limit of requests per minute, used up by the others; sandboxes that
log in all at once; waiting that ends for everybody in the same second; refused logins that add up to a lockout.
"""
