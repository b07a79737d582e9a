'use client';

import { useEffect, useState } from 'react';
import { io } from 'socket.io-client';

// The page shows what came back over a WebSocket, and over Socket.IO once it has left polling for one.
export default function Live() {
  const [echoed, setEchoed] = useState([]);
  const [steps, setSteps] = useState({});

  useEffect(() => {
    const socket = new WebSocket(`wss://${location.host}/api/echo`);
    socket.onmessage = ({ data }) => setEchoed((all) => [...all, data]);
    socket.onopen = () => socket.send('over a WebSocket');

    const live = io({ path: '/api/socket.io' });
    const note = (step, text) => setSteps((all) => ({ ...all, [step]: text }));
    live.io.on('open', () => {
      note('began', live.io.engine.transport.name);
      live.io.engine.on('upgrade', (transport) => {
        note('went', transport.name);
        live.emit('echo', 'over Socket.IO', (back) => note('echoed', back));
      });
    });
    live.on('tenant', (tenant) => note('tenant', tenant));
    return () => {
      socket.close();
      live.close();
    };
  }, []);

  return (
    <main>
      <p id="echoed">{echoed.join(', ')}</p>
      <p id="steps">{[steps.began, steps.tenant, steps.went, steps.echoed].filter(Boolean).join(', ')}</p>
    </main>
  );
}
