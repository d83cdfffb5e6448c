"""All settings. Defaults are safe for production; the environment changes them (contract, section 10).

Nothing else reads the environment. Nonsense in it stops the start with a sentence that names the variable.
"""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def number(name: str, default: float, *, at_least: float = 0.0) -> float:
    try:
        value = float(env.float(name, default))
    except ValueError:
        value = float("nan")
    if not at_least <= value < 10**9:
        raise ImproperlyConfigured(f"{name} must be a number of at least {at_least:g}, not {env.str(name)!r}.")
    return value


def count(name: str, default: int, *, at_least: int = 1) -> int:
    value = number(name, default, at_least=at_least)
    if value != int(value):
        raise ImproperlyConfigured(f"{name} must be a whole number, not {env.str(name)!r}.")
    return int(value)


DEBUG = env.bool("DEBUG", False)
PORT = count("PORT", 8000)
SECRET_KEY = env.str("SECRET_KEY", "for-development-only-and-known-to-everybody-0123456789" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "Set SECRET_KEY to a long random string, or DEBUG=1 on your own machine. "
        'One is made by: python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
    )
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "daphne",
    "meshsite",  # before what it has commands of the same name as
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "presence",
    "groups",
    "realtime",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "meshsite.staticfiles.StaticFilesMiddleware",
    "meshsite.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "meshsite.middleware.own_language_and_time_zone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "meshsite.urls"
ASGI_APPLICATION = "meshsite.asgi.application"
WSGI_APPLICATION = "meshsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Data

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
database = env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
if database["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction takes the write lock at its start and waits for it. A deferred one that reads first
    # fails at once with "database is locked" when another wrote in between, whatever the timeout.
    # FULL: what was acknowledged survives a power cut too.
    database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds that a writer waits for the one before it (busy_timeout)
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
elif database["ENGINE"] == "django.db.backends.postgresql":
    # Under ASGI each request runs in a thread of its own, so CONN_MAX_AGE would open a connection per request.
    database.setdefault("OPTIONS", {})["pool"] = {"min_size": 1, "max_size": 16, "timeout": 20}
else:
    raise ImproperlyConfigured("DATABASE_URL must begin with sqlite:// or postgres://.")
DATABASES = {"default": database}

REDIS_URL = env.str("REDIS_URL", "")
if REDIS_URL:
    # Without a limit a Redis that is paused would hold every thread that asks it.
    limits = {"socket_timeout": 1, "socket_connect_timeout": 1}
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": limits,
        }
    }
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    }
else:
    # Past Django's 300 entries a third is forgotten, and with it which tickets are used and who has a lease.
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 1_000_000}}
    CACHES = {"default": memory}
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Accounts

AUTH_USER_MODEL = "groups.User"
AUTHENTICATION_BACKENDS = ["meshsite.accounts.Backend"]
ACCOUNT_ADAPTER = "meshsite.accounts.Adapter"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_USERNAME_MIN_LENGTH = 2
ACCOUNT_SESSION_REMEMBER = True
EMAIL_BACKEND = env.str(
    "EMAIL_BACKEND",
    "django.core.mail.backends.console.EmailBackend" if DEBUG else "django.core.mail.backends.smtp.EmailBackend",
)
ACCOUNT_RATE_LIMITS = {"signup": f"{count('SIGNUPS_PER_MINUTE', 20)}/m/ip"}
SESSION_ENGINE = "meshsite.sessions"

# HTTP

HTTPS = env.bool("HTTPS", not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 365 * 86_400 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if env.bool("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static", ("clients", BASE_DIR / "clients" / "js")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "meshsite.staticfiles.ModuleStorage"
    },
}

REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "meshsite.api.problem_response",
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is no parameter of ours
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Meshsite",
    "DESCRIPTION": "Team chat and realtime server. Every method is also a `call` on the socket `/ws/user/me`.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Language and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ja", _("Japanese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = USE_TZ = True
TIME_ZONE = "UTC"

# Realtime: the numbers of the contract

PING_SECONDS = number("PING_SECONDS", 25, at_least=0.05)
PONG_SECONDS = number("PONG_SECONDS", 10, at_least=0.05)
LEASE_SECONDS = number("LEASE_SECONDS", 90)
SWEEP_SECONDS = number("SWEEP_SECONDS", 5, at_least=0.05)
AWAY_SECONDS = number("AWAY_SECONDS", 300)
STREAM_EVENTS = count("STREAM_EVENTS", 500)
STREAM_SECONDS = number("STREAM_SECONDS", 600)
POLL_SECONDS = number("POLL_SECONDS", 25)
TYPING_PER_MINUTE = number("TYPING_PER_MINUTE", 60, at_least=0.1)
TYPING_SECONDS = number("TYPING_SECONDS", 6)
# A change of somebody's presence is told to all members of a workspace of at most so many; see docs/protocol.md.
PRESENCE_MEMBERS = count("PRESENCE_MEMBERS", 300)
PRESENCE_WATCH_SECONDS = number("PRESENCE_WATCH_SECONDS", 600, at_least=1)
# How long a change of presence waits for others, to be told with them.
ANNOUNCE_SECONDS = number("ANNOUNCE_SECONDS", 0.1)
STATUS_TEXT_PER_MINUTE = number("STATUS_TEXT_PER_MINUTE", 20, at_least=0.1)
AWAY_PER_MINUTE = number("AWAY_PER_MINUTE", 60, at_least=0.1)
WATCH_PER_MINUTE = number("WATCH_PER_MINUTE", 60, at_least=0.1)
SEND_PER_MINUTE = number("SEND_PER_MINUTE", 60, at_least=0.1)
SEND_BURST = count("SEND_BURST", 10)
REACT_PER_MINUTE = number("REACT_PER_MINUTE", 60, at_least=0.1)
OUTBOX_FRAMES = count("OUTBOX_FRAMES", 1000)
OUTBOX_BYTES = count("OUTBOX_BYTES", 1_048_576)
SESSIONS_PER_USER = count("SESSIONS_PER_USER", 20)
# @channel and @here: in a channel of more members the author has to confirm that they mean it.
GROUP_MENTION_CONFIRM = count("GROUP_MENTION_CONFIRM", 20)
GROUP_MENTIONS_PER_HOUR = number("GROUP_MENTIONS_PER_HOUR", 10, at_least=1)
MESSAGE_CHARACTERS = count("MESSAGE_CHARACTERS", 4000)
JSON_BYTES = count("JSON_BYTES", 1_048_576)
TICKET_SECONDS = number("TICKET_SECONDS", 30)
# How often the sign-ins of open sessions are asked for again. Most ends are told when they happen.
SIGN_IN_SECONDS = number("SIGN_IN_SECONDS", 30)
DATA_UPLOAD_MAX_MEMORY_SIZE = JSON_BYTES

# The classroom system (docs/mesh-v2.md); names and numbers of upstream where it has them

# Keys that clients of classrooms bring: "key" or "key=domain|domain" for one that works only there.
MESH_API_KEYS = env.list("MESH_API_KEYS", default=["demo-key"] if DEBUG else [])
MESH_SECRET_KEY = env.str("MESH_SECRET_KEY", "default-secret-key")
# How many proxies in front are ours, whose entries of X-Forwarded-For are true.
MESH_TRUSTED_PROXIES = count("MESH_TRUSTED_PROXIES", 0, at_least=0)
MESH_HOST_HEARTBEAT_INTERVAL_SECONDS = count("MESH_HOST_HEARTBEAT_INTERVAL_SECONDS", 60)
MESH_HOST_HEARTBEAT_TTL_SECONDS = count("MESH_HOST_HEARTBEAT_TTL_SECONDS", 150)
MESH_MEMBER_HEARTBEAT_INTERVAL_SECONDS = count("MESH_MEMBER_HEARTBEAT_INTERVAL_SECONDS", 120)
MESH_MEMBER_HEARTBEAT_TTL_SECONDS = count("MESH_MEMBER_HEARTBEAT_TTL_SECONDS", 600)
# A polling member learns of the end of its group at its next heartbeat.
MESH_POLLING_HEARTBEAT_SECONDS = count("MESH_POLLING_HEARTBEAT_SECONDS", 10)
MESH_MAX_CONNECTION_TIME_SECONDS = count("MESH_MAX_CONNECTION_TIME_SECONDS", 2100)
MESH_POLLING_INTERVAL_SECONDS = count("MESH_POLLING_INTERVAL_SECONDS", 2)
MESH_NODES_PER_GROUP = count("MESH_NODES_PER_GROUP", 200)
# What the log of a group keeps: reports and batches of events.
MESH_LOG_ENTRIES = count("MESH_LOG_ENTRIES", 20_000)
MESH_CALLS_PER_MINUTE = number("MESH_CALLS_PER_MINUTE", 60_000, at_least=0.1)
DEMO = env.bool("DEMO", False)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"without_traceback": {"()": "meshsite.logs.WithoutTraceback"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Its own handlers would write each line twice; a refused request is the client's matter.
    "loggers": {
        "django": {"handlers": []},
        "django.request": {"level": "ERROR"},
        "channels_redis.pubsub": {"filters": ["without_traceback"]},
        # Its lines are the anchors of the audit log, whatever LOG_LEVEL leaves out.
        "audit": {"level": "INFO"},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
}
