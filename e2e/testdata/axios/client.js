// The client of the existing frontends: axios with credentials, the tenant and the language in headers, JSON unless it is a form, the
// envelope as the result, and one shape of error. It calls the API on the host that all tenants share.
const client = axios.create({ baseURL: `https://api.localhost:${location.port}/api`, withCredentials: true });

const session = { tenant: location.hostname.split(".")[0], language: "de" };

async function call(method, url, data) {
  const config = { method, url, headers: { "x-tenant": session.tenant, "Accept-Language": session.language } };
  if (!(data instanceof FormData)) config.headers["Content-Type"] = "application/json";
  if (method === "get") config.params = data;
  else config.data = data;
  try {
    return (await client.request(config)).data;
  } catch (error) {
    const { status, data } = error.response ?? {};
    if (status === 401 && /\/(users\/)?(account\/)?me$/.test(url)) return null; // a guest
    const first = Object.keys(data?.errors ?? {})[0];
    throw { status, message: data?.message ?? data?.errors?.[first]?.message ?? error.message, data };
  }
}

// refused is the error of a call that must not succeed.
async function refused(...args) {
  let result;
  try {
    result = await call(...args);
  } catch (error) {
    return error;
  }
  throw new Error(`${args[0]} ${args[1]} is not refused: ${JSON.stringify(result)}`);
}

// form is a multipart form as the admin pages fill it: nested values are JSON in one text, booleans are words.
function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    data.append(name, value instanceof Blob ? value : typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return data;
}
