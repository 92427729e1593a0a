// Package chart renders configs/chart by Helm's own engine, and compares it with what kustomize makes of configs/deploy.
package chart
