{{/* The pod of the StatefulSet and of the Deployment. */}}
{{- define "juststorage.pod" -}}
{{- $name := include "juststorage.fullname" . -}}
{{- $secret := include "juststorage.secret" . -}}
{{- $objects := eq .Values.tiers.kind "objects" -}}
{{- $cache := and .Values.tiers.cold.url (gt (int .Values.tiers.cache.sizeGiB) 0) -}}
{{- $postgres := eq .Values.database.engine "postgres" -}}
{{- $scheme := ternary "HTTPS" "HTTP" (ne .Values.tls.existingSecret "") -}}
metadata:
  labels:
    {{- include "juststorage.labels" . | nindent 4 }}
    app.kubernetes.io/component: store
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # The server reads its settings at its start only.
    checksum/settings: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- if .Values.bootstrap.file }}
    checksum/bootstrap: {{ include (print $.Template.BasePath "/bootstrap.yaml") . | sha256sum }}
    {{- end }}
    {{- if not .Values.existingSecret }}
    checksum/secret: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.serviceAccount.name }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # Longer than the shutdown's delay and grace, so that open requests finish and leases are released.
  terminationGracePeriodSeconds: {{ add .Values.shutdownDelaySeconds .Values.shutdownGraceSeconds 15 }}
  securityContext:
    {{- include "juststorage.podSecurity" . | nindent 4 }}
  containers:
    - name: juststorage
      image: {{ include "juststorage.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      envFrom:
        - configMapRef:
            name: {{ $name }}
      env:
        {{- range $key := list "DATABASE_URL" "JUSTSTORAGE_MASTER_KEY" }}
        {{- if or $postgres (ne $key "DATABASE_URL") }}
        - name: {{ $key }}
          valueFrom:
            secretKeyRef:
              name: {{ $secret }}
              key: {{ $key }}
              {{- if not $postgres }}
              # Without it the server makes one on the hot volume.
              optional: true
              {{- end }}
        {{- end }}
        {{- end }}
        {{- range $key := list "JUSTSTORAGE_S3_ROOT_ACCESS_KEY" "JUSTSTORAGE_S3_ROOT_SECRET_KEY" }}
        - name: {{ $key }}
          valueFrom:
            secretKeyRef:
              name: {{ $secret }}
              key: {{ $key }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: native
          containerPort: 8080
        - name: s3
          containerPort: 9000
        # Administration and metrics, which no service for clients exposes.
        - name: admin
          containerPort: 8081
      # Before it listens, the server migrates and takes over from a killed predecessor.
      startupProbe:
        httpGet:
          path: /health
          port: native
          scheme: {{ $scheme }}
        periodSeconds: 2
        failureThreshold: 150
      # Checks the process only: a restart would not repair the database.
      livenessProbe:
        httpGet:
          path: /health
          port: native
          scheme: {{ $scheme }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      # Checks the database and both tiers.
      readinessProbe:
        httpGet:
          path: /ready
          port: native
          scheme: {{ $scheme }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- include "juststorage.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- if eq .Values.tiers.kind "directory" }}
        - name: hot
          mountPath: /data
        {{- else }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- if eq .Values.tiers.kind "shared" }}
        - name: hot
          mountPath: /hot
        {{- end }}
        {{- if not .Values.tiers.cold.url }}
        - name: cold
          mountPath: /cold
        {{- end }}
        {{- if $cache }}
        - name: cache
          mountPath: /data/cache
        {{- end }}
        {{- if .Values.tls.existingSecret }}
        - name: tls
          mountPath: /tls
          readOnly: true
        {{- end }}
        {{- if .Values.bootstrap.file }}
        - name: bootstrap
          mountPath: /bootstrap
          readOnly: true
        {{- if .Values.bootstrap.existingSecret }}
        - name: bootstrap-secrets
          mountPath: /bootstrap-secrets
          readOnly: true
        {{- end }}
        {{- end }}
  {{- if or (ne .Values.tiers.kind "directory") $cache .Values.tls.existingSecret .Values.bootstrap.file }}
  volumes:
    {{- if $cache }}
    # What is read from the bucket. It may be lost; its limit is more than the cache takes, for a pod that passes it is evicted.
    - name: cache
      emptyDir:
        sizeLimit: {{ add (int .Values.tiers.cache.sizeGiB) 1 }}Gi
    {{- end }}
    {{- if ne .Values.tiers.kind "directory" }}
    # Of this pod alone: its lock, its writer's id, and uploads on their way to an object store. It may be lost.
    - name: data
      {{- if $objects }}
      emptyDir:
        sizeLimit: {{ .Values.scratch.sizeLimit }}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- if eq .Values.tiers.kind "shared" }}
    {{- range $tier := list "hot" "cold" }}
    {{- if or (eq $tier "hot") (not $.Values.tiers.cold.url) }}
    - name: {{ $tier }}
      persistentVolumeClaim:
        claimName: {{ (get $.Values.tiers $tier).existingClaim }}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- with .Values.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.bootstrap.file }}
    - name: bootstrap
      configMap:
        name: {{ $name }}-bootstrap
        defaultMode: 0440
    {{- with .Values.bootstrap.existingSecret }}
    - name: bootstrap-secrets
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
