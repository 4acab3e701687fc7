/** nginx as a proxy, with one worker and kept connections to the origin: with nothing else on, or with what Tideway has on. */

/** No access log, and one forwarded field. `connections` are those of both sides. */
export function nginxConfiguration(folder: string, port: number, origin: number, connections = 4096): string {
  return configuration(folder, port, origin, {
    connections,
    http: "access_log off;",
    server: "",
    // Bodies pass as they come: their default is to gather them in files.
    location: `client_max_body_size 0;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`,
  });
}

/** What a line of the access log says: the same as Tideway's. */
const line = [
  '"time":"$time_iso8601"',
  '"pid":$pid',
  '"id":"$request_id"',
  '"address":"$remote_addr"',
  '"method":"$request_method"',
  '"host":"$host"',
  '"path":"$uri"',
  '"version":"$server_protocol"',
  '"status":$status',
  '"in":$content_length_or_0',
  '"out":$body_bytes_sent',
  '"seconds":$request_time',
  '"headSeconds":"$upstream_header_time"',
  '"service":"$proxy_host"',
  '"instance":"$upstream_addr"',
  '"referer":"$http_referer"',
  '"agent":"$http_user_agent"',
];

/**
 * Access log in JSON to `log`, a request id in both directions, forwarded fields, a rate per address that nobody reaches,
 * counters at `/nginx-status`.
 */
export function fullNginxConfiguration(folder: string, port: number, origin: number, log: string): string {
  return configuration(folder, port, origin, {
    connections: 4096,
    http: `map $content_length $content_length_or_0 { "" 0; default $content_length; }
  log_format line escape=json '{${line.join(",")}}';
  access_log ${log} line buffer=32k flush=1s;
  limit_req_zone $binary_remote_addr zone=address:10m rate=1000000r/s;`,
    server: "location = /nginx-status { access_log off; stub_status; }",
    location: `limit_req zone=address burst=1000000 nodelay;
      limit_req_status 429;
      add_header X-Request-Id $request_id always;
      proxy_hide_header X-Request-Id;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header Forwarded "for=$remote_addr;proto=$scheme;host=$host";`,
  });
}

interface Lines {
  readonly connections: number;
  readonly http: string;
  readonly server: string;
  readonly location: string;
}

function configuration(folder: string, port: number, origin: number, lines: Lines): string {
  return `
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections ${lines.connections}; }
http {
  ${lines.http}
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  upstream origin {
    server 127.0.0.1:${origin};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    ${lines.server}
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      ${lines.location}
    }
  }
}
`;
}
