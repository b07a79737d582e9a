import { Suspense } from 'react';
import { gate } from '../gates';

async function Late({ name }) {
  await gate(name).opened;
  return <p id="late">late</p>;
}

export default async function Stream({ searchParams }) {
  const { gate: name } = await searchParams;
  return (
    <main>
      <h1 id="shell">shell</h1>
      <Suspense fallback={<p id="fallback">waiting</p>}>
        <Late name={name} />
      </Suspense>
    </main>
  );
}
