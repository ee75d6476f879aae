/** Replaces the reading of browser streams: the client of Node returns Node streams. */
export const sdkStreamMixin = () => {
  throw new TypeError('Only Node streams are supported in this bundle.');
};
