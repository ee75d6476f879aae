/** Stands in a bundle for reading a browser's streams: Node's client answers with Node's. */
export const sdkStreamMixin = () => {
  throw new TypeError('A stream that is not of Node.');
};
