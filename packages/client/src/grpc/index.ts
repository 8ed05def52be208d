export {
  authenticatingInterceptor,
  type AuthenticatingInterceptorOptions,
} from './authenticating-interceptor.js';
export { grpcAuthentication, type GrpcAuthentication } from './grpc-authentication.js';
export { grpcTransport } from './grpc-transport.js';
export type { GrpcAuthenticationOptions } from './prepare-calls.js';
