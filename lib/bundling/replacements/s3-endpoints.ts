/** Replaces the special cases of S3 endpoints: no function calls S3. */
const absent = () => {
  throw new TypeError('S3 is not in this bundle.');
};
/** Called for a client with such endpoints. */
export const resolveParamsForS3 = absent;
export const isDnsCompatibleBucketName = absent;
export const isArnBucketName = absent;
export const DOT_PATTERN = /\./;
export const S3_HOSTNAME_PATTERN = /$^/;
