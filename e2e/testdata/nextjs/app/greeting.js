'use client';

import { useActionState } from 'react';
import { greet, leave } from './actions';

export function Greeting() {
  const [greeting, submit] = useActionState(greet, '');
  return (
    <>
      <form action={submit}>
        <input id="name" name="name" />
        <button id="greet">greet</button>
        <output id="greeting">{greeting}</output>
      </form>
      <form action={leave}>
        <button id="leave">leave</button>
      </form>
    </>
  );
}
