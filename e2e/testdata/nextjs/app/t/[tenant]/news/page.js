// Rendered once a tenant, then kept for an hour by Next.js, and by whoever reads its Cache-Control.
export const revalidate = 3600;

export function generateStaticParams() {
  return [];
}

export default async function News({ params }) {
  const { tenant } = await params;
  return <h1 id="news">{`news of ${tenant}`}</h1>;
}
