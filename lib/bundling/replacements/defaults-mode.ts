/** Replaces the choice of a defaults mode by environment, files and Region: every client uses the SDK's default. */
export const resolveDefaultsModeConfig = () => async (): Promise<string> => 'legacy';
