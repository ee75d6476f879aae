#!/usr/bin/env node
/** The CDK app for `cdk synth` and `cdk deploy`. */
import { Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { createApp } from '../lib/app.ts';

const { app } = createApp();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
