import { gate } from '../gates';

export function POST(request) {
  gate(new URL(request.url).searchParams.get('gate')).open();
  return new Response(null, { status: 204 });
}
