/**
 * Replaces the retry mode `adaptive` and its rate limiter: every client uses the mode `standard`
 * (functions/shared/clients.ts).
 */
export class AdaptiveRetryStrategy {
  constructor() {
    throw new TypeError('The retry mode "adaptive" is not in this bundle.');
  }
}
