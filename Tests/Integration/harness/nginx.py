"""A real web server with a certificate of its own."""

import subprocess

from .ports import free_port
from .waiting import wait_until


class Nginx:
    """nginx in the foreground with one TLS server that answers with its name."""

    def __init__(self, certificate, directory):
        self.name, self.port = certificate.common_name, free_port()
        directory.mkdir()
        configuration = directory / "nginx.conf"
        configuration.write_text(f"""
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{self.port} ssl http2;
        ssl_certificate {certificate.certificate};
        ssl_certificate_key {certificate.key};
        location / {{ return 200 "{self.name}\\n"; }}
    }}
}}
""")
        self._process = subprocess.Popen(["nginx", "-p", directory, "-c", configuration, "-e", directory / "error.log"])
        wait_until((directory / "pid").exists, what="nginx to start")

    at = property(lambda self: f"127.0.0.1:{self.port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)
