/** Nchan, the module of nginx for real time: one room, with a place for listeners and one for senders, over WebSocket. */

/** Where Debian has it. */
export const nchanModule = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** One worker, no access log. Messages are kept no longer than it takes to deliver them. */
export function nchanConfiguration(folder: string, port: number): string {
  return `
load_module ${nchanModule};
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
worker_rlimit_nofile 20000;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port};
    location = /listener {
      nchan_subscriber websocket;
      nchan_channel_id lobby;
      nchan_subscriber_first_message newest;
      nchan_websocket_ping_interval 25;
    }
    location = /sender {
      nchan_publisher websocket;
      nchan_channel_id lobby;
      nchan_message_buffer_length 64;
      nchan_message_timeout 5s;
    }
  }
}
`;
}
