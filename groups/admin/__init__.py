"""The admin site of moderators. What has rules goes through the actions, so that open pages see it at once."""

from django.contrib import admin

from groups.admin import accounts, audit, classrooms, messages, workspaces

admin.site.site_header = admin.site.site_title = "Meshsite"

__all__ = ["accounts", "audit", "classrooms", "messages", "workspaces"]
