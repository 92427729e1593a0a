{{- define "inner.labels" -}}
app.kubernetes.io/name: inner-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
app.kubernetes.io/part-of: inner-gateway
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "inner.settings" -}}
{{- $names := .Values.namespaces -}}
{{- $namespaces := dict "control" $names.console "worker" $names.worker "ingress" $names.ingress "combinator" $names.combinator -}}
{{- $kubernetes := merge (dict "namespaces" $namespaces) (.Values.settings.kubernetes | default dict) -}}
{{- toYaml (merge (dict "kubernetes" $kubernetes) .Values.settings) -}}
{{- end }}

{{- /* inner.objects renders the objects of a file of configs/deploy, which kustomize uses too, in the namespaces of the values and
with the labels of the chart. With a namespace they are in that one. */ -}}
{{- define "inner.objects" -}}
{{- $root := .root -}}
{{- $names := $root.Values.namespaces -}}
{{- range $document := regexSplit "(?m)^---$" ($root.Files.Get .file) -1 }}
{{- $object := fromYaml $document }}
{{- if $object.Error }}{{ fail (printf "%s: %s" $.file $object.Error) }}{{ end }}
{{- $metadata := $object.metadata }}
{{- if $metadata.namespace }}
{{- $_ := set $metadata "namespace" (get $ "namespace" | default (get $names $metadata.namespace)) }}
{{- end }}
{{- $_ := set $metadata "labels" (merge (fromYaml (include "inner.labels" $root)) ($metadata.labels | default dict)) }}
{{- range $object.subjects }}
{{- $_ := set . "namespace" (get $names .namespace) }}
{{- end }}
---
{{ toYaml $object | replace "kubernetes.io/metadata.name: combinator" (printf "kubernetes.io/metadata.name: %s" $names.combinator)
  | replace "kubernetes.io/metadata.name: monitoring" (printf "kubernetes.io/metadata.name: %s" $root.Values.serviceMonitor.namespace) }}
{{- end }}
{{- end }}

{{- /* inner.kept renders an object that outlives the release. */ -}}
{{- define "inner.kept" -}}
{{- $metadata := .object.metadata }}
{{- $keep := dict "helm.sh/resource-policy" "keep" "argocd.argoproj.io/sync-options" "Prune=false,Delete=false" "kustomize.toolkit.fluxcd.io/prune" "disabled" }}
{{- $_ := set $metadata "annotations" (merge $keep ($metadata.annotations | default dict)) }}
---
{{ toYaml .object }}
{{- end }}

{{- /* inner.container is what the two containers share; env and mounts are those of one. */ -}}
{{- define "inner.container" -}}
{{- with .root.Values -}}
image: {{ printf "%s:%s" .image.repository (.image.tag | default $.root.Chart.AppVersion) }}
{{- with .image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: INNER_CONFIG, value: /etc/inner/inner.yaml}
  - {name: INNER_DATABASE_DSN_FILE, value: /etc/inner/secrets/database-dsn}
  - {name: INNER_TASKS_ENCRYPTIONKEYS_FILE, value: /etc/inner/secrets/encryption-keys}
  - {name: GOMEMLIMIT, value: {{ .goMemoryLimit }}}
  {{- with concat $.env .env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
volumeMounts:
  - {name: settings, mountPath: /etc/inner/inner.yaml, subPath: inner.yaml, readOnly: true}
  - {name: secrets, mountPath: /etc/inner/secrets, readOnly: true}
  {{- with .mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
