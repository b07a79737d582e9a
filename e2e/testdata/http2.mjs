// http2.mjs ORIGIN CA FILE: asks ORIGIN over Node's own HTTP/2 and prints what came, as JSON.
import { connect, constants } from "node:http2"
import { createReadStream, readFileSync } from "node:fs"

const [origin, ca, file] = process.argv.slice(2)
const session = connect(origin, { ca: readFileSync(ca) })
session.on("error", error => { console.error(error); process.exit(1) })

// ask sends a request; send writes its content, and until says when the answer is enough.
function ask(headers, { send, until } = {}) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: !send, waitForTrailers: Boolean(send) })
    let status = 0, text = "", sum = ""
    stream.setEncoding("utf8")
    stream.on("response", fields => { status = fields[":status"] })
    stream.on("trailers", fields => { sum = ` ${fields["x-sum"]}` })
    stream.on("data", piece => {
      text += piece
      if (until?.(text)) stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "43" }))
    stream.on("error", reject)
    stream.on("close", () => resolve(`${status} ${text}${sum}`))
    if (send) createReadStream(send).pipe(stream)
  })
}

// download fetches much at once on a connection that takes little at a time, and returns how many bytes came of each.
async function download() {
  const narrow = connect(origin, { ca: readFileSync(ca), settings: { initialWindowSize: 1024 } })
  narrow.on("error", error => { console.error(error); process.exit(1) })
  const sizes = await Promise.all(Array.from({ length: 8 }, () => new Promise((resolve, reject) => {
    const stream = narrow.request({ ":path": "/bytes/1000000" })
    let size = 0
    stream.on("data", piece => { size += piece.length })
    stream.on("error", reject)
    stream.on("end", () => resolve(size))
  })))
  narrow.close()
  return sizes.join(" ")
}

console.log(JSON.stringify({
  page: await ask({ ":path": "/" }),
  upload: await ask({ ":path": "/sum", ":method": "POST", trailer: "x-sum" }, { send: file }),
  trailers: await ask({ ":path": "/trailers" }),
  downloads: await download(),
  events: await ask({ ":path": "/events?node" }, { until: text => text.includes("data: 2") }),
}))
session.close()
