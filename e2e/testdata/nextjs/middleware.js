import { NextResponse } from 'next/server';

// Which tenant asks is known from the gateway. Pages that are rendered once and kept are kept by their path, so the path names the tenant.
export function middleware(request) {
  const tenant = request.headers.get('x-tenant');
  const url = request.nextUrl.clone();
  let response = NextResponse.next();
  if (url.pathname === '/news') {
    url.pathname = `/t/${tenant}/news`;
    response = NextResponse.rewrite(url);
  } else if (url.pathname === '/old') {
    response = NextResponse.redirect(new URL('/about', request.url));
  }
  response.headers.set('x-seen-host', request.headers.get('host'));
  response.headers.set('x-seen-tenant', tenant);
  return response;
}

export const config = { matcher: ['/((?!_next/|photo.png).*)'] };
