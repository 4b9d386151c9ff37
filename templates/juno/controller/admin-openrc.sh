# The administrator's login for the command-line clients. Each value is a Jinja2 expression; it is quoted when it is written.
export OS_TENANT_NAME={{ identity.admin_tenant }}
export OS_USERNAME={{ identity.admin_user }}
export OS_PASSWORD={{ secret('adminPassword') }}
export OS_AUTH_URL={{ identity.admin_url }}
