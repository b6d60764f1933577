{{- define "swin2sr.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "swin2sr.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "swin2sr.labels" -}}
{{ include "swin2sr.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "swin2sr.image" -}}
{{- $kind := ternary "ray" .Values.device (eq .Values.mode "ray") -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ default (printf "%s-%s" .Chart.Version $kind) .Values.image.tag }}{{ end }}
{{- end }}

{{- /* What cannot be meant ends the rendering with a sentence. */}}
{{- define "swin2sr.check" -}}
{{- if not (or .Values.apiKeys.secret .Values.noAuth) }}
{{- fail "set apiKeys.secret to a Secret with keys, or noAuth=true where something else keeps strangers out" }}
{{- end }}
{{- if and .Values.spool.claim (or (gt (int .Values.replicas) 1) (ne .Values.autoscaling.kind "none")) }}
{{- fail "spool.claim belongs to one server: leave it out, or set replicas=1 and autoscaling.kind=none" }}
{{- end }}
{{- if and (eq .Values.autoscaling.kind "hpa") (ne .Values.device "cpu") }}
{{- fail "autoscaling.kind=hpa goes by the load of CPUs; take keda for GPUs" }}
{{- end }}
{{- if gt (int .Values.autoscaling.min) (int .Values.autoscaling.max) }}
{{- fail "autoscaling.min is over autoscaling.max" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parents) }}
{{- fail "httpRoute.parents has to name a Gateway" }}
{{- end }}
{{- end }}

{{- define "swin2sr.env" -}}
- name: SWIN2SR_HOST
  value: "0.0.0.0"
- name: SWIN2SR_MODEL
  value: {{ join "," .Values.models.names | quote }}
- name: SWIN2SR_DEVICE
  value: {{ .Values.device | quote }}
- name: SWIN2SR_DRAIN
  value: {{ .Values.drain | quote }}
{{- if .Values.apiKeys.secret }}
- name: SWIN2SR_API_KEYS
  value: /etc/swin2sr/keys
{{- else }}
- name: SWIN2SR_NO_AUTH
  value: "true"
{{- end }}
{{- range $name, $value := .Values.options }}
- name: SWIN2SR_{{ $name | upper | replace "-" "_" }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "swin2sr.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "swin2sr.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "swin2sr.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: spool, mountPath: /var/lib/swin2sr}
- {name: models, mountPath: /models}
{{- if .Values.apiKeys.secret }}
- {name: keys, mountPath: /etc/swin2sr, readOnly: true}
{{- end }}
{{- end }}

{{- define "swin2sr.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
- name: spool
  {{- if .Values.spool.claim }}
  persistentVolumeClaim: {claimName: {{ .Values.spool.claim | quote }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .Values.spool.size | quote }}}
  {{- end }}
- name: models
  {{- if .Values.models.claim }}
  persistentVolumeClaim: {claimName: {{ .Values.models.claim | quote }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- if .Values.apiKeys.secret }}
- name: keys
  secret:
    secretName: {{ .Values.apiKeys.secret | quote }}
    items: [{key: {{ .Values.apiKeys.key | quote }}, path: keys}]
{{- end }}
{{- end }}

{{- define "swin2sr.downloads" -}}
{{- range .Values.models.download }}
- name: download-{{ . | lower | replace "." "-" | replace "_" "-" | trunc 50 }}
  image: {{ include "swin2sr.image" $ | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  command: [swin2sr, models, download, {{ . | quote }}]
  securityContext: {{- include "swin2sr.security" $ | nindent 4 }}
  resources:
    requests: {cpu: 100m, memory: 256Mi}
    limits: {memory: 512Mi}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: models, mountPath: /models}
{{- end }}
{{- end }}
