/**
 * HAProxy as a proxy: one thread, connections to the origin shared and kept, no log. It starts, too, where there are fewer
 * descriptors than twice its connections.
 */

export function haproxyConfiguration(port: number, origin: number, connections = 4096): string {
  return `
global
  nbthread 1
  maxconn ${connections}
  no strict-limits
defaults
  mode http
  timeout connect 3s
  timeout client 75s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend front
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  server origin 127.0.0.1:${origin}
`;
}
