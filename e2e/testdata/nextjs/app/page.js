import { headers } from 'next/headers';
import Image from 'next/image';
import Link from 'next/link';
import { Greeting } from './greeting';

export default async function Home() {
  const seen = await headers();
  return (
    <main>
      <h1 id="tenant">{seen.get('x-tenant')}</h1>
      <p id="host">{seen.get('host')}</p>
      <p id="origin">{`${seen.get('x-forwarded-proto')}://${seen.get('x-forwarded-host')}`}</p>
      <Image id="photo" src="/photo.png" width={64} height={64} alt="photo" priority />
      <Greeting />
      <Link id="to-about" href="/about">about</Link>
    </main>
  );
}
