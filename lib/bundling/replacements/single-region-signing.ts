import { SignatureV4 } from '@smithy/signature-v4';

/** Stands in a bundle for signatures of several Regions: no function calls a global endpoint of EventBridge. */
export class SignatureV4MultiRegion extends SignatureV4 {
  static sigv4aDependency(): 'none' {
    return 'none';
  }
}
