'use server';

import { headers } from 'next/headers';
import { redirect } from 'next/navigation';

export async function greet(_, form) {
  return `${(await headers()).get('x-tenant')} greets ${form.get('name')}`;
}

export async function leave() {
  redirect('/about?left');
}
