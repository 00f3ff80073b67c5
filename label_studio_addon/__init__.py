"""What runs inside Label Studio: a settings module on top of its own, middleware, pages and the page's script.

It lives in Label Studio's environment (Django), imports nothing else of this project, and changes no file of Label Studio.
Two variables switch it on: DJANGO_SETTINGS_MODULE=label_studio_addon.settings, and PYTHONPATH with the folder above this one.
"""

TESTED_VERSION = "1.23.2"
"""What depends on measured behaviour of Label Studio is switched off under any other version."""
