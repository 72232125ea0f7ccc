{{- define "directmail-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* A release that is called like the chart gives its objects no double name. 52 characters leave room for suffixes. */}}
{{- define "directmail-exporter.fullname" -}}
{{- $name := include "directmail-exporter.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "directmail-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* What selects pods: it never changes, for a StatefulSet's selector may not. */}}
{{- define "directmail-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "directmail-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "directmail-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "directmail-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of an object. Takes a list: root, name, namespace, more labels, annotations; all but root may be empty. */}}
{{- define "directmail-exporter.metadata" -}}
{{- $root := index . 0 -}}
name: {{ default (include "directmail-exporter.fullname" $root) (index . 1) }}
namespace: {{ default (include "directmail-exporter.namespace" $root) (index . 2) }}
labels:
  {{- include "directmail-exporter.labels" $root | nindent 2 }}
  {{- with index . 3 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with index . 4 }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "directmail-exporter.image" -}}
{{- with .Values.global.imageRegistry | default .Values.image.registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "directmail-exporter.serviceAccountName" -}}
{{- $own := .Values.serviceAccount.create | ternary (include "directmail-exporter.fullname" .) "default" }}
{{- default $own .Values.serviceAccount.name }}
{{- end }}

{{- define "directmail-exporter.secretName" -}}
{{- default (include "directmail-exporter.fullname" .) .Values.secret.existingSecret }}
{{- end }}

{{- define "directmail-exporter.configMapName" -}}
{{- default (include "directmail-exporter.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{/* What a PodMonitor and a ServiceMonitor say alike of an endpoint. Takes the values of the monitor. */}}
{{- define "directmail-exporter.endpoint" -}}
port: metrics
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
{{- with .scheme }}
scheme: {{ . }}
{{- end }}
{{- range $key := list "tlsConfig" "basicAuth" "relabelings" "metricRelabelings" }}
{{- with index $ $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Values that each are right, and wrong together. */}}
{{- define "directmail-exporter.validate" -}}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
{{- fail "podMonitor.enabled and serviceMonitor.enabled are both true, which scrapes every pod twice: set one of them to false" }}
{{- end }}
{{- with .Values.secret }}
{{- if and .create .existingSecret }}
{{- fail "secret.create and secret.existingSecret are both set: set one of them" }}
{{- end }}
{{- if and .create (not .enabled) }}
{{- fail "secret.create is true, but secret.enabled is false and the Secret would not be mounted: set secret.enabled to true" }}
{{- end }}
{{- if and .create (not .data) }}
{{- fail "secret.create is true, but secret.data is empty: write access_key_id and access_key_secret there, or name a Secret in secret.existingSecret" }}
{{- end }}
{{- if and .data (not .create) }}
{{- fail "secret.data is set, but secret.create is false: set it to true, or remove secret.data" }}
{{- end }}
{{- end }}
{{- range .Values.extraArgs }}
{{- if regexMatch "^--(shard|config[.]file|config[.]enable-auto-reload)(=|$)" . }}
{{- fail (printf "extraArgs: the chart itself sets %s; shards come from the value shards" (splitList "=" . | first)) }}
{{- end }}
{{- end }}
{{- $own := splitList " " "app.kubernetes.io/name app.kubernetes.io/instance app.kubernetes.io/version app.kubernetes.io/managed-by helm.sh/chart" }}
{{- $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "service.labels" .Values.service.labels }}
{{- range $key := list "podMonitor" "serviceMonitor" "prometheusRule" }}
{{- $_ := set $labels (printf "%s.additionalLabels" $key) (index $.Values $key).additionalLabels }}
{{- end }}
{{- range $name, $route := .Values.route }}
{{- $_ := set $labels (printf "route.%s.labels" $name) $route.labels }}
{{- if and $route.enabled (not $route.parentRefs) }}
{{- fail (printf "route.%s.enabled is true, but route.%s.parentRefs is empty: name the Gateway that serves it" $name $name) }}
{{- end }}
{{- end }}
{{- range $place, $set := $labels }}
{{- range $label, $_ := $set }}
{{- if has $label $own }}
{{- fail (printf "%s: the chart itself sets the label %s" $place $label) }}
{{- end }}
{{- if and (ne $place "commonLabels") (hasKey (default dict $.Values.commonLabels) $label) }}
{{- fail (printf "%s: the label %s is in commonLabels already" $place $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- $kinds := list }}
{{- range $kind := list "httpGet" "exec" "tcpSocket" }}
{{- if hasKey (default dict (index $.Values $key)) $kind }}
{{- $kinds = append $kinds $kind }}
{{- end }}
{{- end }}
{{- if gt (len $kinds) 1 }}
{{- fail (printf "%s has %s: keep one, and set the other to null" $key (join " and " $kinds)) }}
{{- end }}
{{- end }}
{{- end }}
