// The gateway compresses, with zstd too, and knows which answers must not be.
export default { compress: false, poweredByHeader: false };
