export { conformanceRequest, type RequestParts } from './request.js';
export { schemeConformance, type ConformanceCase } from './scheme-conformance.js';
export type { SchemeFixture } from './fixture.js';
