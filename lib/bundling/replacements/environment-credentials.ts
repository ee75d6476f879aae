/**
 * Replaces `@aws-sdk/credential-provider-node`: Lambda passes a function's credentials only in its environment, so the
 * search through profiles, processes and metadata services is not needed.
 */
export const defaultProvider = () => async () => {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined) {
    throw new TypeError('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be in the environment.');
  }
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN,
  };
};
