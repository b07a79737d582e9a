// What Next.js has no place for: a WebSocket that echoes, and Socket.IO, both below /api/.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

const server = createServer((request, response) => response.writeHead(404).end());

const echo = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  if (request.url === '/api/echo') {
    echo.handleUpgrade(request, socket, head, (client) => {
      client.on('message', (data, binary) => client.send(data, { binary }));
      client.send(request.headers['x-tenant']);
    });
  }
});

const io = new Server(server, { path: '/api/socket.io' });
io.on('connection', (socket) => {
  socket.emit('tenant', socket.handshake.headers['x-tenant']);
  socket.on('echo', (data, reply) => reply(data));
});

server.listen(Number(process.argv[2]), '127.0.0.1');
