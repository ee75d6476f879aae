/** Replaces the query for an EC2 instance's region: Lambda sets the region in the environment. */
export const getInstanceMetadataRegion = async (): Promise<undefined> => undefined;
