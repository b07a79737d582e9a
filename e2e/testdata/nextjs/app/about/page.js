import { headers } from 'next/headers';
import Link from 'next/link';

export default async function About() {
  return (
    <main>
      <h1 id="about">{`about ${(await headers()).get('x-tenant')}`}</h1>
      <Link id="to-home" href="/">home</Link>
    </main>
  );
}
